"""An authority of a plant, and what it signs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TODAY = dt.datetime.now(dt.UTC)  # noqa: TID251 - whoever checks looks at this machine's clock


@dataclass(frozen=True)
class Identity:
    name: x509.Name
    secret: ec.EllipticCurvePrivateKey
    certificate: Path
    key: Path


def authority(folder: Path, name: str) -> Identity:
    return _made(folder, name, None)


def leaf_of(signer: Identity, folder: Path, name: str) -> Identity:
    """A certificate for a name, followed by its authority's, as a server is given it."""
    return _made(folder, name, signer)


def _made(folder: Path, name: str, signer: Identity | None) -> Identity:
    secret = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named if signer is None else signer.name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(TODAY - dt.timedelta(days=1))
        .not_valid_after(TODAY + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .sign(secret if signer is None else signer.secret, hashes.SHA256())
    )
    own = made.public_bytes(serialization.Encoding.PEM)
    identity = Identity(named, secret, folder / f"{name}.pem", folder / f"{name}.key")
    identity.certificate.write_bytes(own + (b"" if signer is None else signer.certificate.read_bytes()))
    identity.key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return identity
