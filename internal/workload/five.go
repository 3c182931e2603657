package workload

// Five is the schema of five tables, as a small service has them.
const Five = `
	CREATE TABLE queues (name text PRIMARY KEY, paused_at timestamptz, created_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE jobs (id bigserial PRIMARY KEY, queue text NOT NULL REFERENCES queues, kind text NOT NULL, args jsonb NOT NULL DEFAULT '{}',
		state text NOT NULL DEFAULT 'available', priority smallint NOT NULL DEFAULT 1, scheduled_at timestamptz NOT NULL DEFAULT now());
	CREATE INDEX ON jobs (state, queue, priority, scheduled_at, id);
	CREATE INDEX ON jobs USING gin (args);
	CREATE TABLE attempts (id bigserial PRIMARY KEY, job_id bigint NOT NULL REFERENCES jobs ON DELETE CASCADE, worker text NOT NULL, error text);
	CREATE INDEX ON attempts (job_id);
	CREATE TABLE clients (id text PRIMARY KEY, seen_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE leaders (name text PRIMARY KEY, client_id text NOT NULL REFERENCES clients, expires_at timestamptz NOT NULL);`

// FiveEmptied empties the five tables.
const FiveEmptied = `TRUNCATE queues, jobs, attempts, clients, leaders`

// FiveInserts returns statements that put a row into each of the five tables, which are
// empty.
func FiveInserts() []string {
	return []string{
		`INSERT INTO queues (name) VALUES ('default')`,
		`INSERT INTO jobs (queue, kind, args) VALUES ('default', 'sort', '{"strings": ["whale", "tiger", "bear"]}')`,
		`INSERT INTO attempts (job_id, worker) SELECT id, 'worker' FROM jobs`,
		`INSERT INTO clients (id) VALUES ('client')`,
		`INSERT INTO leaders (name, client_id, expires_at) VALUES ('default', 'client', now() + interval '5 s')`,
	}
}
