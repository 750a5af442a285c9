// What the browser remembers between visits. A browser that forbids it (blocked cookies) makes the page forget, not fail.

const PREFIX = 'sluicegate.';

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + key, value);
  } catch {
    // forgotten, as the visitor wishes
  }
}
