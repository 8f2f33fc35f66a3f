import type { ReactNode } from "react";
import { useTranslation } from "../i18n/useTranslation";
import { Loading, ProblemBox } from "../account/parts";
import type { AccountProblem } from "../account/problems";

export interface Column<T> {
  key: string;
  label: string;
  cell: (item: T) => ReactNode;
  isNumber?: boolean;
}

interface Props<T> {
  label: string;
  testId: string;
  columns: Column<T>[];
  items: T[] | undefined;
  idOf: (item: T) => string;
  problem: AccountProblem | null;
  empty: string;
  more?: () => void;
}

/** On a phone every row is a card whose lines name themselves; the roles keep it a table for who listens to it. */
export function Table<T>({ label, testId, columns, items, idOf, problem, empty, more }: Props<T>) {
  const { t } = useTranslation();
  return (
    <>
      <ProblemBox problem={problem} />
      {items === undefined && problem === null && <Loading />}
      {items?.length === 0 && <p className="account-text">{empty}</p>}
      {items !== undefined && items.length > 0 && (
        <table className="admin-table" role="table" aria-label={label} data-testid={testId}>
          <thead role="rowgroup">
            <tr role="row">
              {columns.map(({ key, label: name, isNumber }) => (
                <th key={key} role="columnheader" scope="col" className={isNumber ? "number" : undefined}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {items.map((item) => (
              <tr key={idOf(item)} role="row" data-testid={`${testId}-row`} data-id={idOf(item)}>
                {columns.map(({ key, label: name, cell, isNumber }) => (
                  <td key={key} role="cell" data-label={name} className={isNumber ? "number" : undefined}>
                    {cell(item)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {more !== undefined && (
        <button type="button" className="button" onClick={more}>
          {t("admin.more")}
        </button>
      )}
    </>
  );
}
