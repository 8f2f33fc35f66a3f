import { laterDialog } from "../components/later";

/** How a call goes, or went, for somebody: fetched with its texts when it is first opened. */
export const LaterConnection = laterDialog(async () => {
  const [{ ConnectionDialog }, { prepareLineTexts }] = await Promise.all([import("../lines/ConnectionDialog"), import("../lines/texts")]);
  await prepareLineTexts();
  return ConnectionDialog;
});
