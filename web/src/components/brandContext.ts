import { createContext } from "react";
import { type Brand, NO_BRAND } from "../lib/brand";

/** The brand of the server, for whatever shows it. */
export const BrandContext = createContext<Brand>(NO_BRAND);
