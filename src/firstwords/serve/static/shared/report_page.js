// The served report follows the run that is selected in the bar.

const bar = document.querySelector("app-bar");
const shown = decodeURIComponent(location.pathname.split("/").pop()); // empty at /report/

await bar.ready;
if (shown) bar.selectRun(shown);
bar.addEventListener("runchange", () => {
  const address = new URL("../report/", import.meta.url);
  if (bar.run) address.searchParams.set("run", bar.run);
  location.assign(address);
});
