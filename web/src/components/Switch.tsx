interface Props {
  label: string;
  testId: string;
  on: boolean;
  onChange: (on: boolean) => void;
}

/** On or off, with its name on the line before it. */
export function Switch({ label, testId, on, onChange }: Props) {
  return (
    <label className="switch-line">
      <span>{label}</span>
      <input
        type="checkbox"
        role="switch"
        className="switch"
        data-testid={testId}
        checked={on}
        onChange={(event) => {
          onChange(event.target.checked);
        }}
      />
    </label>
  );
}
