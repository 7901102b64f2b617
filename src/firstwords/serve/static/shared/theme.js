// Applies the chosen theme before the page is painted: a classic script in the head, since modules
// run later. Without a choice, the page follows the system. The bar changes the theme.

try {
  const theme = localStorage.getItem("firstwords.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage, for example with cookies blocked, the page follows the system.
}
