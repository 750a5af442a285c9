import { defineConfig } from 'vite';
import { licences } from './licences.js';

// File names carry no hash: the server embeds dist/ file by file, and a rebuild shows in the history as a change, not as new files.
// Freshness is the server's part: `Cache-Control: no-cache` and an ETag.
export default defineConfig({
  base: './',
  plugins: [licences()],
  build: {
    target: 'es2022',
    cssCodeSplit: false,
    reportCompressedSize: true,
    chunkSizeWarningLimit: 700,
    // Pictures stay files: a data: address would need a wider content policy for no gain.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      output: {
        entryFileNames: 'assets/console.js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/console[extname]',
        // The client library is most of the weight and is wanted only by those who join: the page of figures does without it.
        manualChunks: (id) => (id.includes('node_modules') ? 'livekit' : undefined),
      },
    },
  },
});
