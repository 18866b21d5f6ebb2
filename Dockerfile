# One image for every service; docker-compose.yml says which one a container runs.
FROM python:3.11-slim

WORKDIR /build
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY rights rights
COPY schemas schemas
COPY proofs proofs
COPY plumbing plumbing
COPY logbook logbook
COPY sources sources
COPY services services
COPY projections projections
COPY auditor auditor
COPY devstack devstack
# The versions that the tests ran with. devstack is imported as a whole, and its mail sink wants aiosmtpd.
RUN pip install --no-cache-dir --constraint requirements.lock . aiosmtpd

# Volumes take their owner from the folder that they cover.
RUN useradd --uid 10001 --create-home habeas \
    && install -d -o habeas -g habeas -m 0700 \
        /var/lib/habeas/keyring /var/lib/habeas/bundler /var/lib/habeas/spool \
        /var/lib/habeas/snapshots /var/lib/habeas/issuer
COPY devstack/products/journal.source.yaml devstack/products/billing.source.yaml /etc/habeas/sources/

WORKDIR /home/habeas
USER habeas
