#!/usr/bin/env python3
"""tlsproxy.py CERT KEY PORT: TLS on a free port of 127.0.0.1, handed on in the clear to PORT there. Prints its own port."""
import socket, ssl, sys, threading

cert, key, target = sys.argv[1], sys.argv[2], int(sys.argv[3])


def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(raw):
    try:
        client = context.wrap_socket(raw, server_side=True)
        server = socket.create_connection(("127.0.0.1", target))
    except OSError:
        raw.close()
        return
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)
    client.close()
    server.close()


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
