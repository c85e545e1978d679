"""Certificates made by the openssl command at test time: an authority, and servers that it signs (or not)."""

import ssl
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)


NAMES = ("DNS:localhost", "IP:127.0.0.1")


class Authority:
    def __init__(self, directory, name="Skerry test authority"):
        self.directory = directory
        self.key, self.certificate = directory / "ca.key", directory / "ca.pem"
        self.usual = None  # files of one that most tests can share
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-keyout", str(self.key), "-out", str(self.certificate))

    def server(self, names=NAMES, dates=(), label=""):
        """An ssl.SSLContext for a server with these subjectAltNames. DATES: ("20200101000000Z", "20200201000000Z")."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(names, dates, label))
        return context

    def files(self, names=NAMES, dates=(), label="", rsa=False, more=(), chain=False):
        """Paths of a certificate and its key. Without a LABEL: those that others have too. MORE: lines of extensions;
        CHAIN: the authority's stands behind it."""
        if not label:
            assert (names, dates, rsa, more, chain) == (NAMES, (), False, (), False), "another certificate wants a label"
            self.usual = self.usual or self.files(label="server")
            return self.usual
        key, request, certificate = (self.directory / f"{label}.{end}" for end in ("key", "csr", "pem"))
        extensions = self.directory / f"{label}.ext"
        extensions.write_text("".join(f"{line}\n" for line in (f"subjectAltName={','.join(names)}", *more)))
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        _openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={label}",
                 "-keyout", str(key), "-out", str(request))
        life = ["-not_before", dates[0], "-not_after", dates[1]] if dates else ["-days", "30"]
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self.key), *life,
                 "-extfile", str(extensions), "-out", str(certificate))
        if chain:
            certificate.write_text(certificate.read_text() + self.certificate.read_text())
        return certificate, key

    def client(self, cert=None, key=None):
        """An ssl.SSLContext for a client that trusts this authority."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the authority is made in one line
        if cert:
            context.load_cert_chain(cert, key)
        return context
