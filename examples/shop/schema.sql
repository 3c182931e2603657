CREATE TYPE state AS ENUM ('placed', 'paid', 'shipped', 'cancelled');
CREATE TYPE address AS (street text, city text);

CREATE TABLE customers (
    id    bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    email text NOT NULL UNIQUE,
    home  address NOT NULL
);

CREATE TABLE products (
    sku   text PRIMARY KEY,
    tags  text[] NOT NULL,
    cents integer NOT NULL CHECK (cents > 0),
    stock integer NOT NULL CHECK (stock >= 0)
);

CREATE TABLE orders (
    id          bigserial,
    placed_on   date NOT NULL,
    customer_id bigint NOT NULL REFERENCES customers,
    state       state NOT NULL DEFAULT 'placed',
    ship_to     address,
    PRIMARY KEY (id, placed_on)
) PARTITION BY RANGE (placed_on);
CREATE TABLE orders_2025 PARTITION OF orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE orders_2026 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

CREATE TABLE order_lines (
    order_id  bigint,
    placed_on date,
    line      integer,
    sku       text NOT NULL REFERENCES products,
    quantity  integer NOT NULL CHECK (quantity > 0),
    cents     integer NOT NULL,
    total     integer GENERATED ALWAYS AS (quantity * cents) STORED,
    PRIMARY KEY (order_id, placed_on, line),
    FOREIGN KEY (order_id, placed_on) REFERENCES orders
);
