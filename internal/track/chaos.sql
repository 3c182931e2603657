CREATE TABLE busy (id int PRIMARY KEY, v text, n int DEFAULT 0);
CREATE TABLE log (id bigserial PRIMARY KEY, m text);
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (id int PRIMARY KEY, pid int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v text);
CREATE TABLE orphan (id int PRIMARY KEY, pid int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE, v text);
CREATE TABLE self (id int PRIMARY KEY, pid int REFERENCES self ON DELETE CASCADE ON UPDATE CASCADE, v text);
CREATE TABLE "Soon é" (id int PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE, "V v" text);
CREATE TABLE late (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
CREATE TABLE pair (a int, "B" text, v text, PRIMARY KEY ("B", a));
CREATE TABLE word (k text PRIMARY KEY, v text UNIQUE);
CREATE TABLE ident (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE made (raw text, id text GENERATED ALWAYS AS (raw || '!') STORED PRIMARY KEY, v text);
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v text);
CREATE TABLE keyless (id int, v text);
CREATE DOMAIN filled AS text NOT NULL;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
-- Columns that are called as variables of generated functions might be.
CREATE TABLE hot (id int PRIMARY KEY, v filled DEFAULT '-', w int, r mood, baseline_xid int, kind text, changed int, why text, put int) WITH (fillfactor = 50);
CREATE TABLE part (id int, r int, v text, PRIMARY KEY (id, r)) PARTITION BY RANGE (r);
CREATE TABLE part0 PARTITION OF part FOR VALUES FROM (0) TO (4);
CREATE TABLE part1 (v text, gone int, r int NOT NULL, id int NOT NULL);
ALTER TABLE part1 DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part1 FOR VALUES FROM (4) TO (8);
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (8) TO (100) PARTITION BY LIST (r);
CREATE TABLE part2a PARTITION OF part2 FOR VALUES IN (8, 9);
CREATE TABLE part2b PARTITION OF part2 DEFAULT;
CREATE TABLE base (id int PRIMARY KEY, v text);
CREATE TABLE keyed (x int DEFAULT 5, PRIMARY KEY (id)) INHERITS (base);
CREATE TABLE free (y int DEFAULT 6) INHERITS (base);
CREATE TABLE ruled (id int PRIMARY KEY, v text);
CREATE RULE also AS ON UPDATE TO ruled WHERE NEW.v = 'z' DO ALSO INSERT INTO log (m) VALUES ('rule');
CREATE RULE soft AS ON DELETE TO ruled WHERE OLD.id % 3 = 0 DO INSTEAD UPDATE ruled SET v = 'soft' WHERE id = OLD.id;
CREATE TABLE total (id int PRIMARY KEY, count int);
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE blurred (k text COLLATE nocase PRIMARY KEY, v text);
-- Everything is published. Of what has no usable key, some tell rows apart by all columns;
-- the others only take inserts, and are undone as if they did.
CREATE TABLE heard (id int, v text);
CREATE TABLE filtered (id int PRIMARY KEY, v text);
CREATE TABLE forked (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE forked0 PARTITION OF forked FOR VALUES FROM (0) TO (9);
CREATE TABLE forked1 PARTITION OF forked DEFAULT;
ALTER TABLE forked1 REPLICA IDENTITY NOTHING;
ALTER TABLE "Soon é" REPLICA IDENTITY FULL;
ALTER TABLE late REPLICA IDENTITY FULL;
ALTER TABLE keyless REPLICA IDENTITY FULL;
ALTER TABLE base REPLICA IDENTITY FULL;
ALTER TABLE free REPLICA IDENTITY FULL;
CREATE PUBLICATION everything FOR ALL TABLES;
DO $$ BEGIN
	IF current_setting('server_version_num')::int >= 180000 THEN -- else no row of a table with a generated key can be deleted
		ALTER PUBLICATION everything SET (publish_generated_columns = stored);
	END IF;
END $$;
CREATE PUBLICATION part_of_it FOR TABLE parent WHERE (id > 3), filtered WHERE (v > 'a'), part WHERE (r > 2), forked WITH (publish_via_partition_root = true);
CREATE MATERIALIZED VIEW seen AS SELECT count(*) AS n, max(v) AS v FROM parent;

-- Functions behind indexes, statistics and checks, whose bodies name things without a
-- schema.
CREATE FUNCTION inner_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1)';
CREATE FUNCTION fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT inner_fold($1)';
DO $$ BEGIN
	IF current_setting('server_version_num')::int < 170000 THEN -- from then on no index has such a function
		CREATE INDEX ON word (fold(v));
		CREATE INDEX ON parent (fold(v)) WHERE fold(v) IS NOT NULL;
		CREATE INDEX ON keyless (fold(v));
	END IF;
END $$;
CREATE STATISTICS folded ON (fold(v)), (v || '') FROM child;
ALTER TABLE pair ADD CHECK (fold(v) IS NOT NULL OR v IS NULL);

-- Triggers that write to their own table, put deleted rows back, change keys and
-- keep another table.
CREATE FUNCTION busy_after() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF pg_trigger_depth() < 3 THEN
		IF TG_OP = 'INSERT' THEN
			UPDATE busy SET n = n + 1 WHERE id = NEW.id;
			INSERT INTO total VALUES (NEW.id % 5, 1) ON CONFLICT (id) DO UPDATE SET count = total.count + 1;
		ELSIF TG_OP = 'UPDATE' THEN
			UPDATE busy SET n = n + 1 WHERE id = NEW.id AND NEW.v LIKE 'm%';
			IF NEW.v = 'q' THEN
				DELETE FROM busy WHERE id = NEW.id;
				INSERT INTO busy VALUES (NEW.id, 're', 1);
			END IF;
		ELSE
			IF OLD.v = 'back' OR OLD.id % 4 = 0 THEN
				INSERT INTO busy VALUES (OLD.id, 'again', 9) ON CONFLICT DO NOTHING;
			END IF;
			DELETE FROM total WHERE id = OLD.id % 5;
		END IF;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER busy_after AFTER INSERT OR UPDATE OR DELETE ON busy FOR EACH ROW EXECUTE FUNCTION busy_after();
CREATE FUNCTION busy_before() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF TG_OP = 'DELETE' THEN
		IF OLD.v = 'keep' THEN RETURN NULL; END IF;
		IF OLD.v = 'touch' THEN UPDATE busy SET n = n + 100 WHERE id = OLD.id + 1; END IF;
		RETURN OLD;
	END IF;
	IF NEW.v = 'skip' THEN RETURN NULL; END IF;
	IF NEW.v = 'k2' AND TG_OP = 'UPDATE' THEN NEW.id := NEW.id + 1; END IF;
	IF NEW.v = 'pre' THEN DELETE FROM busy WHERE id = NEW.id + 1; END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER busy_before BEFORE INSERT OR UPDATE OR DELETE ON busy FOR EACH ROW EXECUTE FUNCTION busy_before();
CREATE FUNCTION busy_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF pg_trigger_depth() < 2 THEN
		UPDATE busy SET n = n + 10 WHERE id % 3 = (random() * 2)::int;
		INSERT INTO log (m) VALUES (TG_OP || TG_WHEN);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER "000 before ours" BEFORE UPDATE OR DELETE ON busy FOR EACH STATEMENT EXECUTE FUNCTION busy_statement();
CREATE TRIGGER after_ours BEFORE INSERT OR UPDATE OR DELETE ON busy FOR EACH STATEMENT EXECUTE FUNCTION busy_statement();
CREATE TRIGGER at_the_end AFTER UPDATE OR DELETE ON busy FOR EACH STATEMENT EXECUTE FUNCTION busy_statement();
-- A trigger after ours that deletes what the statement did not.
CREATE FUNCTION unlogged_after() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF pg_trigger_depth() < 2 THEN DELETE FROM unlogged WHERE id = OLD.id + 1; END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER zzzz AFTER DELETE ON unlogged FOR EACH ROW WHEN (OLD.id % 2 = 0) EXECUTE FUNCTION unlogged_after();

-- Functions that write while a statement runs.
CREATE FUNCTION write_next(i int) RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN
	UPDATE hot SET w = w + 1 WHERE id = i + 1;
	RETURN 'f' || i;
END $$;
CREATE FUNCTION delete_next(i int) RETURNS bool LANGUAGE plpgsql VOLATILE AS $$ BEGIN
	DELETE FROM hot WHERE id = i + 1;
	INSERT INTO hot (id, v) VALUES (i - 1, 'fd') ON CONFLICT DO NOTHING;
	RETURN true;
END $$;
CREATE FUNCTION run(q text) RETURNS void LANGUAGE plpgsql SET work_mem = '8MB' AS $$ BEGIN EXECUTE q; END $$;
CREATE FUNCTION run_quietly(q text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE q; EXCEPTION WHEN OTHERS THEN NULL; END $$;
CREATE FUNCTION run_in_vain(q text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	EXECUTE q;
	PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN NULL;
END $$;

INSERT INTO busy SELECT g, (ARRAY['b', 'keep', 'touch', 'back'])[1 + g % 4] FROM generate_series(1, 10) g;
INSERT INTO parent SELECT g, 'p' FROM generate_series(1, 8) g;
INSERT INTO child SELECT g, 1 + g % 8, 'c' FROM generate_series(1, 16) g;
INSERT INTO orphan SELECT g, 1 + g % 8, 'o' FROM generate_series(1, 10) g;
INSERT INTO self SELECT g, CASE WHEN g % 3 = 0 THEN g ELSE greatest(g - 1, 1) END, 's' FROM generate_series(1, 10) g;
INSERT INTO "Soon é" SELECT g, 'd' FROM generate_series(1, 10) g;
INSERT INTO late SELECT g, 'd' FROM generate_series(1, 10) g;
INSERT INTO pair SELECT g % 3, 'b' || g, 'p' FROM generate_series(1, 10) g;
INSERT INTO word SELECT 'k' || g, 'u' || g FROM generate_series(1, 10) g;
INSERT INTO ident (a) SELECT g FROM generate_series(1, 8) g;
INSERT INTO made (raw, v) SELECT 'r' || g, 'm' FROM generate_series(1, 8) g;
INSERT INTO unlogged SELECT g, 'u' FROM generate_series(1, 10) g;
INSERT INTO keyless SELECT g % 4, 'n' || g % 2 FROM generate_series(1, 10) g;
INSERT INTO hot SELECT g, 'h', 0, 'ok' FROM generate_series(1, 12) g;
INSERT INTO part SELECT g, g % 13, 'p' FROM generate_series(1, 20) g;
INSERT INTO base SELECT g, 'i' FROM generate_series(1, 4) g;
INSERT INTO keyed SELECT g, 'k' FROM generate_series(3, 8) g;
INSERT INTO free SELECT g, 'f' FROM generate_series(5, 10) g;
INSERT INTO ruled SELECT g, 'r' FROM generate_series(1, 9) g;
INSERT INTO heard SELECT g % 4, 'h' || g % 2 FROM generate_series(1, 10) g;
INSERT INTO filtered SELECT g, 'f' FROM generate_series(1, 10) g;
INSERT INTO forked SELECT g % 12, 'f' FROM generate_series(1, 20) g;
INSERT INTO blurred SELECT 'K' || g, 'b' FROM generate_series(1, 9) g;
SELECT setval('log_id_seq', 7);
REFRESH MATERIALIZED VIEW seen;
