// The buttons to export, import and delete conversations.

import { download, fileName, fromJson, toJson, toMarkdown } from "./files.js";
import { isEmpty } from "./tree.js";

// `current()` is the conversation on the page; `imported(chats)` and `removeAll()` change the
// store.
export function connectFiles(page, { store, current, imported, removeAll, status }) {
  const exported = (chat) => {
    if (isEmpty(chat)) status.show("This conversation is empty.", { isError: true });
    return !isEmpty(chat);
  };
  page["export-markdown"].addEventListener("click", () => {
    const chat = current();
    if (exported(chat)) download(fileName(chat, "md"), toMarkdown(chat), "text/markdown");
  });
  page["export-json"].addEventListener("click", () => {
    const chat = current();
    if (exported(chat)) download(fileName(chat, "json"), toJson([chat]), "application/json");
  });
  page["export-all"].addEventListener("click", () =>
    download("firstwords-chats.json", toJson(store.list()), "application/json"),
  );
  page.import.addEventListener("click", () => page["import-file"].click());
  page["import-file"].addEventListener("change", async ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    try {
      const chats = fromJson(await file.text());
      imported(chats);
      const count = chats.length === 1 ? "1 conversation" : `${chats.length} conversations`;
      status.show(`Imported ${count}.`);
    } catch (error) {
      status.show(error.message, { isError: true });
    }
    target.value = "";
  });
  page["delete-all"].addEventListener("click", () => page.confirm.showModal());
  page["confirm-no"].addEventListener("click", () => page.confirm.close());
  page["confirm-yes"].addEventListener("click", () => {
    page.confirm.close();
    removeAll();
  });
}
