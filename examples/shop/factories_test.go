package shop

import (
	"fmt"
	"testing"
	"time"

	"github.com/groundhogdb/groundhog/bulk"
)

// A struct stands for a row: its fields for the columns of the same names, and what
// has no field gets the column's default. An edit function changes the rows that a
// test is about.

type address struct{ Street, City string } // the composite type

type customer struct {
	ID    int64 // made by the server, and filled in
	Email string
	Home  address
}

func customers(t testing.TB, db bulk.DB, n int, edit ...func(i int, c *customer)) []customer {
	t.Helper()
	rows := make([]customer, n)
	for i := range rows {
		rows[i] = customer{Email: fmt.Sprintf("customer%d@test-example.com", i), Home: address{"Test Street 1", "Testville"}}
		for _, edit := range edit {
			edit(i, &rows[i])
		}
	}
	return bulk.Insert(t, db, "customers", rows)
}

type product struct {
	SKU   string
	Tags  []string
	Cents int
	Stock int
}

func products(t testing.TB, db bulk.DB, n int, edit ...func(i int, p *product)) []product {
	t.Helper()
	rows := make([]product, n)
	for i := range rows {
		rows[i] = product{SKU: fmt.Sprintf("P-%03d", i), Tags: []string{"test"}, Cents: 100, Stock: 50}
		for _, edit := range edit {
			edit(i, &rows[i])
		}
	}
	return bulk.Insert(t, db, "products", rows)
}

type order struct {
	ID         int64 // made by a sequence
	PlacedOn   time.Time
	CustomerID int64
	State      string   `db:"state,default"` // "": the column's default
	ShipTo     *address // nil: NULL, to the customer's home
}

// orders makes some for each customer, one a week from the first day of 2025 on. The
// server puts them into the partitions.
func orders(t testing.TB, db bulk.DB, customers []customer, each int, edit ...func(i int, o *order)) []order {
	t.Helper()
	rows := make([]order, len(customers)*each)
	for i := range rows {
		rows[i] = order{PlacedOn: time.Date(2025, 1, 1+7*(i%each), 0, 0, 0, 0, time.UTC), CustomerID: customers[i/each].ID}
		for _, edit := range edit {
			edit(i, &rows[i])
		}
	}
	return bulk.Insert(t, db, "orders", rows)
}

type orderLine struct {
	OrderID  int64
	PlacedOn time.Time
	Line     int
	SKU      string
	Quantity int
	Cents    int
}

// lines puts the products into the orders by turns, so many into each. The rows are
// sent as they are made: memory does not grow with their number.
func lines(t testing.TB, db bulk.DB, orders []order, products []product, each int) int64 {
	t.Helper()
	return bulk.InsertSeq(t, db, "order_lines", func(yield func(orderLine) bool) {
		for i, o := range orders {
			for n := range each {
				p := products[(i*each+n)%len(products)]
				if !yield(orderLine{o.ID, o.PlacedOn, n + 1, p.SKU, n + 1, p.Cents}) {
					return
				}
			}
		}
	})
}
