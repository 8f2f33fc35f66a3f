import { avatarColour, initials } from "../lib/people";

interface Props {
  name: string;
  identity: string;
  size?: "small" | "large";
}

export function Avatar({ name, identity, size = "large" }: Props) {
  return (
    <span className={`avatar ${size} colour-${avatarColour(identity)}`} aria-hidden>
      {initials(name)}
    </span>
  );
}
