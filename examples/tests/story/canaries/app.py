# Says all of its secrets, in every form in which tools write them, and then fails; where its gate is open, it
# serves. What it writes here is by other code than that of the redactor, and than that of the needles.
import base64, html, http.server, json, os, sys

gate, turns = sys.argv[1:]
own = sorted((int(name[7:]), value) for name, value in os.environ.items() if name.startswith("CANARY_"))
sys.stdout.reconfigure(encoding="utf-8")


def forms(secret):
    raw = secret.encode()
    yield secret
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield "".join("%%%02X" % byte for byte in raw)
    yield raw.hex()
    yield base64.b64encode(raw).decode()
    # As HTML, and where a failure would show too many lines, as the literal of a program.
    yield html.escape(secret).replace("&#x27;", "&#39;") if "\n" not in secret else json.dumps(secret)[1:-1]


# A failure shows only the last lines of a log: each try says another part, in as few lines as can be.
serves = os.path.exists(gate)
turn, of = map(int, open(turns).read().split())
told = [" | ".join(forms(secret)) for number, secret in own if serves or number % of == turn]
print(("\n" if serves else " | ").join(told), flush=True)
if not serves:
    sys.exit(3)


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
