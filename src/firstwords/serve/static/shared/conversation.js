// A conversation in an address, as JSON: what the exam passes to the chat, and both to the X-ray.

export function toParameter(messages) {
  return JSON.stringify(messages.map(({ role, content }) => ({ role, content })));
}

// Returns null for what is no conversation.
export function fromParameter(parameter) {
  try {
    const messages = JSON.parse(parameter);
    const isMessage = (one) => typeof one?.role === "string" && typeof one.content === "string";
    if (!Array.isArray(messages) || !messages.length || !messages.every(isMessage)) return null;
    return messages.map(({ role, content }) => ({ role, content }));
  } catch {
    return null;
  }
}
