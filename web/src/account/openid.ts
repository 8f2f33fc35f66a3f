/** What the provider put into the address; null when it sent the browser back without. */
export function answerOf(search: string): { state: string; code: string; iss: string } | null {
  const parameters = new URLSearchParams(search);
  const [state, code] = [parameters.get("state") ?? "", parameters.get("code") ?? ""];
  return state === "" || code === "" ? null : { state, code, iss: parameters.get("iss") ?? "" };
}
