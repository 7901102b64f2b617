// Keeps the focus where it was although the page changes: a node that is made again has the same
// data-focus as before.

export function keepFocus(change, fallback) {
  const before = document.activeElement;
  const key = before?.dataset?.focus;
  change();
  const isLost = before !== document.body && !isVisible(before);
  if (!isLost) return;
  const again = key && document.querySelector(`[data-focus="${CSS.escape(key)}"]`);
  (again && isVisible(again) ? again : fallback).focus({ preventScroll: true });
}

function isVisible(node) {
  return Boolean(node?.isConnected && node.checkVisibility?.() !== false);
}
