CREATE TABLE books (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	author_id bigint NOT NULL REFERENCES authors,
	title text NOT NULL
);

---- create above / drop below ----

DROP TABLE books;
