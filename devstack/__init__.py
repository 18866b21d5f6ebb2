"""The embedded stack: real servers without Docker, root, Maven or a system Java.

stack.py      all parts as one thing: `Stack(...).start("kafka")` gives `Endpoints`; settings; `down`
kafka.py      Apache Kafka 4 in KRaft mode, one broker or several
postgres.py   PostgreSQL 18, also where one is root
objects.py    s3proxy, an S3 server over a folder
mail.py       an SMTP server that delivers into a folder (`python -m devstack.mail`)
issuer.py     an OpenID issuer for invented people (`python -m devstack.issuer`)
launcher/     starts, watches and stops processes; errors that name the next step
downloads.py  jars from Maven Central, checked against lock.json, cached
locking.py    writes lock.json (maintainers: `python -m devstack.locking`)
doctor.py     what is missing, and the command that mends it
"""
