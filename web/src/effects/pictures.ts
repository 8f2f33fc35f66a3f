import calm from "../assets/backgrounds/calm.svg";
import hills from "../assets/backgrounds/hills.svg";
import study from "../assets/backgrounds/study.svg";

/** What can stand behind a person, by name. */
export const PICTURES = { hills, study, calm } as const;
