-- +goose Up
CREATE TABLE authors (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL UNIQUE
);

-- +goose Down
DROP TABLE authors;
