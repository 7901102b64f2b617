// Copies text, and says so on the button that was pressed.

const SHOWN_MILLISECONDS = 1500;

export async function copyText(text, button) {
  const copied = await writeText(text);
  const label = button.textContent;
  button.textContent = copied ? "Copied" : "Could not copy";
  setTimeout(() => (button.textContent = label), SHOWN_MILLISECONDS);
}

async function writeText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelection(text);
  }
}

// Without HTTPS, browsers copy only what is selected.
function copySelection(text) {
  const focused = document.activeElement;
  const box = document.createElement("textarea");
  box.value = text;
  document.body.append(box);
  box.select();
  const copied = document.execCommand("copy");
  box.remove();
  focused?.focus();
  return copied;
}
