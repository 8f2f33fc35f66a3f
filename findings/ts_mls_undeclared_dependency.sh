#!/bin/sh
# ts-mls 1.6.4 (MLS, RFC 9420): a fresh installation cannot be imported. The module loads `@noble/hashes`, which its
# package.json declares neither as a dependency nor as a peer. With that package beside it, it loads.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ts-mls@1.6.4
try() {
  node --input-type=module -e '
    import("ts-mls").then(
      () => console.log("loads"),
      (error) => console.log(error.code, /@noble\/\w+/.exec(error.message)?.[0]),
    );'
}
{
  node -p '"declared: " + JSON.stringify(Object.keys({ ...require("./node_modules/ts-mls/package.json").dependencies, ...require("./node_modules/ts-mls/package.json").peerDependencies }).filter((name) => name.startsWith("@noble/hashes")))'
  try
  npm install --silent --no-audit --no-fund @noble/hashes@2.0.1
  try
} | tee seen
cat >expected <<'SEEN'
declared: []
ERR_MODULE_NOT_FOUND @noble/hashes
loads
SEEN
diff expected seen
