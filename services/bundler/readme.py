"""The letter on top of an archive, in the person's language and then in English. Does no I/O."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

NAMESPACE: Final = "habeas-export"

_TEXTS: Final[Mapping[str, str]] = {
    "en": """\
Your data: {reference}

This archive holds the data about you that was found on {generated_at}.
What changed later is not in it.

{sections}

manifest.json says what is here, what is not, and how large each file is.
The .json files are plain text; any editor opens them.

To check that nothing was changed since the archive was made, in this folder:
    sha256sum -c SHA256SUMS                (on a Mac: shasum -a 256 -c SHA256SUMS)
To check who made it, with the key file that your organisation publishes:
    ssh-keygen -Y verify -f allowed_signers -I SIGNER -n {namespace} -s SHA256SUMS.sig < SHA256SUMS

The archive is private. Keep it where only you can read it.
""",
    "fr": """\
Vos données : {reference}

Cette archive contient les données vous concernant trouvées le {generated_at}.
Ce qui a changé depuis n'y figure pas.

{sections}

manifest.json dit ce qui s'y trouve, ce qui ne s'y trouve pas et la taille de chaque fichier.
Les fichiers .json sont du texte ; tout éditeur les ouvre.

Pour vérifier que rien n'a été modifié, dans ce dossier :
    sha256sum -c SHA256SUMS                (sur Mac : shasum -a 256 -c SHA256SUMS)
Pour vérifier qui l'a faite, avec le fichier de clés que publie votre organisation :
    ssh-keygen -Y verify -f allowed_signers -I SIGNER -n {namespace} -s SHA256SUMS.sig < SHA256SUMS

L'archive est privée. Gardez-la là où vous seul pouvez la lire.
""",
    "de": """\
Ihre Daten: {reference}

Dieses Archiv enthält die Daten über Sie, die am {generated_at} gefunden wurden.
Spätere Änderungen sind nicht enthalten.

{sections}

manifest.json sagt, was hier ist, was nicht, und wie groß jede Datei ist.
Die .json-Dateien sind Text; jeder Editor öffnet sie.

So prüfen Sie in diesem Ordner, dass nichts verändert wurde:
    sha256sum -c SHA256SUMS                (am Mac: shasum -a 256 -c SHA256SUMS)
So prüfen Sie mit der Schlüsseldatei Ihrer Organisation, wer es erstellt hat:
    ssh-keygen -Y verify -f allowed_signers -I SIGNER -n {namespace} -s SHA256SUMS.sig < SHA256SUMS

Das Archiv ist privat. Bewahren Sie es auf, wo nur Sie es lesen können.
""",
}


def readme(manifest: Mapping[str, Any]) -> bytes:
    """The letter for the archive that this manifest describes."""
    language = str(manifest["language"])[:2]
    languages = [language, "en"] if language in _TEXTS and language != "en" else ["en"]
    fields = {
        "reference": manifest["reference"],
        "generated_at": manifest["generated_at"],
        "sections": "\n".join(_lines(manifest["sections"])),
        "namespace": NAMESPACE,
    }
    separator = "\n" + "-" * 72 + "\n\n"
    return separator.join(_TEXTS[code].format(**fields) for code in languages).encode()


def _lines(sections: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for section in sections:
        path = next(iter(section["files"]))["path"]
        yield f"    {section['title']}: {section['records']}  ({path})"
