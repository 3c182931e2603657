#!/bin/sh
# What the usual image of PostgreSQL does, as far as tests need it: a server is
# made at the first start, with POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and
# POSTGRES_INITDB_ARGS, and takes connections over TCP with the password.
set -eu
: "${PGDATA:=/var/lib/postgresql/data}" "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}"

if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA"
	chown postgres "$PGDATA"
	chmod 0700 "$PGDATA"
	exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	printf '%s\n' "${POSTGRES_PASSWORD:?no password is set}" >/tmp/password
	# Words of their own.
	# shellcheck disable=SC2086
	initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile=/tmp/password -A scram-sha-256 ${POSTGRES_INITDB_ARGS-} </dev/null
	rm /tmp/password
	[ "$POSTGRES_DB" = postgres ] ||
		echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$PGDATA" postgres >/dev/null
	echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
fi
exec "$@" -c listen_addresses='*' -D "$PGDATA"
