/** The start page's picture: a call of four people, drawn with shapes only. */

interface Figure {
  x: number;
  y: number;
  skin: string;
  hair: string;
  shirt: string;
  back: string;
  speaking?: boolean;
}

const WIDTH = 236;
const HEIGHT = 150;

const FIGURES: readonly Figure[] = [
  { x: 22, y: 54, skin: "#f0c3a0", hair: "#3b2a23", shirt: "#e9b44c", back: "#d9e6dc", speaking: true },
  { x: 270, y: 54, skin: "#8d5a3b", hair: "#1d1715", shirt: "#f2f0e6", back: "#c9d8ea" },
  { x: 22, y: 216, skin: "#f3cfae", hair: "#20201f", shirt: "#3f6fb5", back: "#ecd9cf" },
  { x: 270, y: 216, skin: "#dba57f", hair: "#7a4a2b", shirt: "#0b7d66", back: "#ded7ea" },
];

export function Illustration({ label }: { label: string }) {
  return (
    <svg className="illustration" viewBox="0 0 528 440" role="img" aria-label={label}>
      <rect className="ill-window" x="4" y="4" width="520" height="432" rx="28" />
      <circle className="ill-dot" cx="34" cy="30" r="5" />
      <circle className="ill-dot" cx="52" cy="30" r="5" />
      <circle className="ill-dot" cx="70" cy="30" r="5" />
      {FIGURES.map((figure) => (
        <Tile key={`${figure.x}-${figure.y}`} figure={figure} />
      ))}
      <ControlBar />
    </svg>
  );
}

function Tile({ figure }: { figure: Figure }) {
  const { x, y, skin, hair, shirt, back, speaking } = figure;
  const clip = `tile-${x}-${y}`;
  const middle = x + WIDTH / 2;
  return (
    <g>
      <clipPath id={clip}>
        <rect x={x} y={y} width={WIDTH} height={HEIGHT} rx="18" />
      </clipPath>
      <g clipPath={`url(#${clip})`}>
        <rect x={x} y={y} width={WIDTH} height={HEIGHT} fill={back} />
        <ellipse cx={middle} cy={y + HEIGHT + 18} rx="72" ry="58" fill={shirt} />
        <rect x={middle - 13} y={y + 84} width="26" height="34" rx="12" fill={skin} />
        <circle cx={middle} cy={y + 62} r="34" fill={hair} />
        <ellipse cx={middle} cy={y + 70} rx="27" ry="31" fill={skin} />
        <path d={`M${middle - 27} ${y + 62} q27 -34 54 0 v-14 q-27 -30 -54 0z`} fill={hair} />
        <path d={`M${middle - 9} ${y + 84} q9 8 18 0`} fill="none" stroke="#2b1c16" strokeWidth="2.4" strokeLinecap="round" />
        <circle cx={middle - 10} cy={y + 68} r="2.6" fill="#2b1c16" />
        <circle cx={middle + 10} cy={y + 68} r="2.6" fill="#2b1c16" />
      </g>
      {speaking && <rect className="ill-ring" x={x} y={y} width={WIDTH} height={HEIGHT} rx="18" />}
    </g>
  );
}

function ControlBar() {
  const buttons = [176, 220, 264, 308];
  return (
    <g>
      {buttons.map((x) => (
        <circle key={x} className="ill-button" cx={x} cy="402" r="16" />
      ))}
      <rect className="ill-leave" x="334" y="386" width="48" height="32" rx="16" />
      <g className="ill-glyph">
        <path d="M176 395v7m-5 0a5 5 0 0 0 10 0m-5 5v3" />
        <path d="M213 397h10v10h-10zM226 402l4-3v6z" />
        <path d="M257 397h14v9h-14zM264 406v4" />
        <path d="M301 397h14v9h-9l-3 3v-3h-2z" />
        <path d="M350 404q8-5 16 0" />
      </g>
    </g>
  );
}
