import { Download, ImageOff, Paperclip } from "lucide-react";
import { type RefObject, useEffect, useRef, useState } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { mayBePicture, pictureType, placeFor } from "../files/picture";
import { type FileProblem, fileProblem } from "../files/problem";
import type { RoomFiles } from "../files/roomFiles";
import { sizeText } from "../files/size";
import { ApiError, text } from "../lib/api";
import { cleanMessage } from "../lib/chat";
import { fetchByLink, saveAs } from "../lib/saveAs";
import type { Body } from "../log/entries";

interface Props {
  body: Body;
  files: RoomFiles;
}

/** A file in the room: what it is called, how large it is, a picture of it where it is one. */
export function FileLine({ body, files }: Props) {
  const { t, language } = useTranslation();
  const [problem, setProblem] = useState<FileProblem | null>(null);
  const name = cleanMessage(text(body.name));
  const sizeBytes = typeof body.size === "number" ? body.size : 0;
  const download = async () => {
    setProblem(null);
    try {
      if (isSealed(body)) saveAs(await openSealed(files, body), name);
      else fetchByLink(await files.link(text(body.file_id)), name);
    } catch (error) {
      setProblem(fileProblem(error));
    }
  };
  return (
    <div className="message-text file" data-testid="file" data-name={name}>
      {mayBePicture(text(body.type), sizeBytes) && <Preview body={body} files={files} name={name} />}
      <div className="file-row">
        <Paperclip size={16} aria-hidden />
        <span className="file-name">
          <bdi>{name}</bdi>
          <small>{sizeText(sizeBytes, language)}</small>
        </span>
        <button
          type="button"
          className="icon-button"
          data-testid="download"
          aria-label={t("files.download", { name })}
          onClick={() => void download()}
        >
          <Download size={18} aria-hidden />
        </button>
      </div>
      {problem !== null && (
        <p className="problem" role="alert">
          {t(`files.problem.${problem}`)}
        </p>
      )}
    </div>
  );
}

const isSealed = (body: Body): boolean => text(body.key) !== "";

/** Throws `ApiError`. */
async function openSealed(files: RoomFiles, body: Body, signal = new AbortController().signal): Promise<Blob> {
  const { openSealedFile, SealBroken } = await import("../sealed/sealedFiles");
  try {
    return await openSealedFile(files, body, signal);
  } catch (error) {
    throw error instanceof SealBroken ? new ApiError("seal_broken", error.message) : error;
  }
}

function Preview({ body, files, name }: Props & { name: string }) {
  const { t } = useTranslation();
  const place = useRef<HTMLDivElement>(null);
  const isNear = useNear(place);
  const picture = usePicture(files, body, isNear);
  const { width, height } = placeFor(body.width, body.height);
  return (
    <div ref={place} className="file-picture" style={{ width, aspectRatio: `${width} / ${height}` }}>
      {picture.failed && <ImageOff size={24} aria-hidden />}
      {picture.url !== "" && !picture.failed && (
        <img src={picture.url} alt={t("files.picture", { name })} data-testid="file-picture" onError={picture.fail} />
      )}
    </div>
  );
}

/** Whether an element was on the screen, or not far from it. */
function useNear(element: RefObject<HTMLElement | null>): boolean {
  const [isNear, setNear] = useState(false);
  useEffect(() => {
    if (isNear || element.current === null) return;
    const observer = new IntersectionObserver(
      (changes) => {
        if (changes.some(({ isIntersecting }) => isIntersecting)) setNear(true);
      },
      { rootMargin: "200px" },
    );
    observer.observe(element.current);
    return () => {
      observer.disconnect();
    };
  }, [element, isNear]);
  return isNear;
}

/** The picture under an address that lasts as long as the component does. */
function usePicture(files: RoomFiles, body: Body, isWanted: boolean) {
  const fileId = text(body.file_id);
  const newest = useRef(body);
  useEffect(() => {
    newest.current = body;
  });
  const [url, setUrl] = useState("");
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (!isWanted) return;
    const end = new AbortController();
    let made = "";
    const load = async () => {
      const { current } = newest;
      const bytes = isSealed(current)
        ? new Uint8Array(await (await openSealed(files, current, end.signal)).arrayBuffer())
        : await files.picture(fileId, end.signal);
      const type = pictureType(bytes);
      if (end.signal.aborted) return;
      if (type === null) {
        setFailed(true);
        return;
      }
      made = URL.createObjectURL(new Blob([bytes], { type }));
      setUrl(made);
    };
    load().catch(() => {
      if (!end.signal.aborted) setFailed(true);
    });
    return () => {
      end.abort();
      if (made !== "") URL.revokeObjectURL(made);
    };
  }, [files, fileId, isWanted]);
  const fail = () => {
    setFailed(true);
  };
  return { url, failed, fail };
}
