// Small choices, such as the theme and the selected run, stored only in this browser.

// "" if nothing is stored.
export function loadPreference(name) {
  try {
    return localStorage.getItem(`firstwords.${name}`) ?? "";
  } catch {
    return "";
  }
}

export function savePreference(name, text) {
  try {
    localStorage.setItem(`firstwords.${name}`, text);
  } catch {
    // In private windows or when storage is full, the choice lasts as long as the page.
  }
}
