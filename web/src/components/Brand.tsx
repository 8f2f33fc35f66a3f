import logo from "../assets/logo.svg";
import { useContext } from "react";
import { BrandContext } from "./brandContext";
import { navigate } from "../lib/router";

interface Props {
  name: string;
  /** Whether a click leads to the start page; not during a call, where it would end it. */
  link?: boolean;
}

/** The mark and the product's name. The mark is a hall's arch inside an arch: also an ear, also a sound wave. */
export function Brand({ name, link = true }: Props) {
  const brand = useContext(BrandContext);
  const content = (
    <>
      <img src={brand.logo || logo} alt="" width={32} height={32} />
      <span>{name}</span>
    </>
  );
  if (!link) return <span className="brand">{content}</span>;
  return (
    <a
      className="brand"
      href="/"
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        navigate("/");
      }}
    >
      {content}
    </a>
  );
}
