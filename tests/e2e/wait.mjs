// Waiting for a condition, always bounded. A thrown error counts as "not yet" unless it is marked final.
export async function eventually(probe, ms, what) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      if (error.final) throw error;
      last = error.message;
    }
    if (Date.now() >= end) throw new Error(`waited ${ms} ms for ${what}; last seen: ${JSON.stringify(last)}`);
    await pause(50);
  }
}

// For watching that nothing happens; never for waiting until something has.
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
