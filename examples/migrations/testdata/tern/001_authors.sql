CREATE TABLE authors (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL UNIQUE
);

---- create above / drop below ----

DROP TABLE authors;
