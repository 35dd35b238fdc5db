// What comes from npm. The scripts install it below target/, where imports would not look.

import { createRequire } from "node:module";

const require = createRequire(new URL("../../target/client/", import.meta.url));

/** A package by its name. */
export const load = (name) => require(name);
