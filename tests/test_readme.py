#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The README's client: its C block, compiled as it stands, against a responder with the README's key; and its keys file.

usage: test_readme.py SOURCE_ROOT BUILD_ROOT COMPILER..."""

import os
import re
import subprocess
import sys
import tempfile


def block(text, language):
    return re.search(r"```" + language + r"\n(.*?)```", text, re.S).group(1)


def compile_client(folder, root, library, compiler):
    source, program = os.path.join(folder, "client.c"), os.path.join(folder, "client")
    with open(os.path.join(root, "README.md"), encoding="utf-8") as f:
        text = f.read()
    with open(source, "w", encoding="utf-8") as f:
        f.write(block(text, "c"))
    command = [*compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(root, "include"), source,
               "-o", program, "-L", library, "-Wl,-rpath," + library, "-lipsectwamp"]
    subprocess.run(command, check=True)
    return program, text


def start(responder, folder, text):
    keys = os.path.join(folder, "keys")
    passphrase = re.search(r"^passphrase = (.*?)\s+#", block(text, "ini"), re.M).group(1)
    with open(keys, "w", encoding="utf-8") as f:
        f.write(f"[psk acme]\npassphrase = {passphrase}\n")
    process = subprocess.Popen([responder, "--bind", "127.0.0.1", "--port", "0", "--keys", keys],
                               stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    return process, line.rsplit(":", 1)[1].strip()


def main():
    root, build, *compiler = sys.argv[1:]
    library, responder = os.path.join(build, "lib"), os.path.join(build, "examples", "itw-responder")
    with tempfile.TemporaryDirectory() as folder:
        program, text = compile_client(folder, root, library, compiler)
        process, port = start(responder, folder, text)
        try:
            done = subprocess.run([program, port], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
        finally:
            process.terminate()
            process.wait(timeout=10)
    print(done.stdout, end="")
    good = done.returncode == 0 and re.match(r"send to port \d+\nno error, Accept 0\n$", done.stdout)
    print("ok" if good else f"FAIL: exit status {done.returncode}")
    return 0 if good else 1


sys.exit(main())
