/** A small window that stays above others: with controls where the browser lets a page fill it, else one video. */

interface DocumentPictureInPicture {
  requestWindow: (options: { width: number; height: number }) => Promise<Window>;
}

const SIZE = { width: 360, height: 240 };

function documents(): DocumentPictureInPicture | undefined {
  return (window as { documentPictureInPicture?: DocumentPictureInPicture }).documentPictureInPicture;
}

export function hasPictureInPicture(): boolean {
  return documents() !== undefined || document.pictureInPictureEnabled;
}

/** An empty window in the looks of this page; null where the browser has only videos of its own. */
export async function openWindow(): Promise<Window | null> {
  const opened = await documents()?.requestWindow(SIZE);
  if (opened === undefined) return null;
  for (const sheet of document.querySelectorAll('link[rel="stylesheet"]')) {
    opened.document.head.append(opened.document.importNode(sheet, true));
  }
  const { lang, dir } = document.documentElement;
  Object.assign(opened.document.documentElement, { lang, dir });
  opened.document.title = document.title;
  opened.document.body.dataset.theme = "dark";
  return opened;
}

/** The largest of the videos there are, on its own or back again. */
export async function toggleVideo(): Promise<void> {
  if (document.pictureInPictureElement !== null) {
    await document.exitPictureInPicture();
    return;
  }
  const area = (video: HTMLVideoElement) => video.clientWidth * video.clientHeight;
  const [largest] = [...document.querySelectorAll("video")].sort((one, other) => area(other) - area(one));
  await largest?.requestPictureInPicture();
}
