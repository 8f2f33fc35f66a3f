import { useId } from "react";

interface Props<Value extends string> {
  label: string;
  testId: string;
  value: Value;
  options: readonly Value[];
  name: (value: Value) => string;
  onChange: (value: Value) => void;
}

/** One of a few, with its name above. */
export function Choice<Value extends string>({ label, testId, value, options, name, onChange }: Props<Value>) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="select">
        <select
          id={id}
          data-testid={testId}
          value={value}
          onChange={(event) => {
            const chosen = options.find((option) => option === event.target.value);
            if (chosen !== undefined) onChange(chosen);
          }}
        >
          {options.map((option) => (
            <option key={option} value={option}>
              {name(option)}
            </option>
          ))}
        </select>
      </div>
    </div>
  );
}
