package bulk_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/bulk"
)

// level and colour have names, as stringer makes them; what is stored is what they
// are made of.
type level int

func (l level) String() string { return [...]string{"low", "high"}[l] }

type colour string

func (c colour) String() string { return "the colour " + string(c) }

// TestValuesAreTheSameWithEachPgx stores what versions of pgx write in different
// ways, in both forms of COPY.
func TestValuesAreTheSameWithEachPgx(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE TYPE colour AS ENUM ('red', 'blue');
		CREATE TABLE own (id int PRIMARY KEY, l int, ls int[], name text, c text, cs text[], d numeric[]);
		CREATE TABLE types (id int PRIMARY KEY, l int, ls int[], name text, c colour, cs colour[], d numeric[]);
		CREATE TABLE own_text (LIKE own INCLUDING ALL, bits bit(3) NOT NULL);
		CREATE TABLE types_text (LIKE types INCLUDING ALL, bits bit(3) NOT NULL);`)
	type row struct {
		ID   int
		L    level
		LS   []level
		Name level
		C    colour
		CS   []colour
		D    []*decimal
	}
	type textRow struct {
		row
		Bits string
	}
	r := row{1, 1, []level{0, 1}, 1, "red", []colour{"blue"}, []*decimal{{"1.5"}, nil}}
	const want = "1|1|{0,1}|high|red|{blue}|{1.5,NULL}"
	for _, table := range []string{"own", "types"} {
		bulk.Insert(t, db, table, []row{r})
		bulk.Insert(t, db, table+"_text", []textRow{{r, "101"}})
		for _, of := range []string{table, table + "_text"} {
			require.Equal(t, want, one[string](t, db, "SELECT concat_ws('|', id, l, ls, name, c, cs, d) FROM "+of), of)
		}
	}
}

// TestBoxes: boxes are separated by semicolons.
func TestBoxes(t *testing.T) {
	t.Parallel()
	db := tablesOf(t, `
		CREATE DOMAIN room AS box; CREATE DOMAIN rooms AS box[];
		CREATE TABLE t (id int PRIMARY KEY, b box[], r room[], rs rooms);
		CREATE TABLE t_text (LIKE t INCLUDING ALL, bits bit(3) NOT NULL);
		CREATE TABLE alone (id int PRIMARY KEY, b box[]);`)
	box := pgtype.Box{P: [2]pgtype.Vec2{{X: 2, Y: 2}, {X: 0, Y: 0}}, Valid: true}
	type row struct {
		ID int
		B  []pgtype.Box
		R  []string
		RS []string
	}
	type textRow struct {
		row
		Bits string
	}
	texts := []string{"(2,2),(0,0)", "(1,1),(0,0)"}
	r := row{1, []pgtype.Box{box, {}, box}, texts, texts}
	bulk.Insert(t, db, "t", []row{r, {ID: 2, B: []pgtype.Box{}}})
	bulk.Insert(t, db, "t_text", []textRow{{r, "101"}, {row{ID: 2, B: []pgtype.Box{}}, "101"}})
	for _, of := range []string{"t", "t_text"} {
		require.Equal(t, "1|{(2,2),(0,0);NULL;(2,2),(0,0)}|{(2,2),(0,0);(1,1),(0,0)}|{(2,2),(0,0);(1,1),(0,0)}",
			one[string](t, db, "SELECT concat_ws('|', id, b, r, rs) FROM "+of+" WHERE id = 1"), of)
		require.Equal(t, "{}", one[string](t, db, "SELECT b::text FROM "+of+" WHERE id = 2"), of)
	}
	type alone struct {
		ID int
		B  []string
	}
	bulk.Insert(t, db, "alone", []alone{{1, texts}})
	require.Equal(t, "{(2,2),(0,0);(1,1),(0,0)}", one[string](t, db, "SELECT b::text FROM alone"))
	type two struct {
		ID int
		B  [][]string
	}
	db = tablesOf(t, "CREATE TABLE two (id int PRIMARY KEY, b box[])")
	bulk.Insert(t, db, "two", []two{{1, [][]string{texts, texts}}})
	require.Equal(t, "{{(2,2),(0,0);(1,1),(0,0)};{(2,2),(0,0);(1,1),(0,0)}}", one[string](t, db, "SELECT b::text FROM two"))
}
