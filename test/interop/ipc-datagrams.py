# The kernel's side of datagrams: sends some of many sizes, several at a time but no more than a socket's buffer holds, and says what came back whole.
# Usage: ipc-datagrams.py echo ADDRESS PORT | answer PORT
import hashlib
import os
import socket
import sys

how = sys.argv[1]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.settimeout(5)
if how == 'answer':
    s.bind(('0.0.0.0', int(sys.argv[2])))
    print('bound', flush=True)
    data, peer = s.recvfrom(65536)
    s.sendto(b'answer to ' + data, peer)
else:
    s.connect((sys.argv[2], int(sys.argv[3])))
    whole = 0
    for size in [0, 1, 96, 512, 1400, 1472, 1473, 4000, 9000, 30000, 65507]:
        sent = [os.urandom(size) for _ in range(max(1, min(8, 150_000 // (size + 1))))]
        for data in sent:
            s.send(data)
        came = [s.recv(65536) for _ in sent]
        digest = lambda each: hashlib.sha256(each).hexdigest()
        whole += sorted(map(digest, came)) == sorted(map(digest, sent))
    print(f'whole {whole}', flush=True)
