# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m audited_node FILE …`: the node, with whatever Python would have to ask for in FILE.

C++ libraries are not heard: DDS opens its sockets and shared memory, rcl writes its log.
"""
import json
import os
import sys

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
HEARD = ('socket.connect', 'socket.bind', 'socket.getaddrinfo', 'socket.sendto',
         'subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn', 'os.fork', 'os.forkpty',
         'pickle.find_class', 'os.remove', 'os.rename', 'os.mkdir', 'os.rmdir', 'os.chmod',
         'os.chown', 'os.symlink', 'os.link')


def main():
    path = sys.argv.pop(1)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hear(event, args):
        if event in HEARD or event == 'open' and isinstance(args[2], int) and args[2] & WRITING:
            os.write(log, (json.dumps([event, *map(str, args)]) + '\n').encode())

    sys.addaudithook(hear)
    from ltp_ros import programs
    return programs.ltp_classifier()


if __name__ == '__main__':
    sys.exit(main())
