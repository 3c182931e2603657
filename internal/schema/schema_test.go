package schema_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/groundhogdb/groundhog/internal/msg"
	"github.com/groundhogdb/groundhog/internal/schema"
)

func n(name string) schema.Name { return schema.Name{Schema: "public", Name: name} }

func TestLoadOrderPutsReferencedTablesFirst(t *testing.T) {
	t.Parallel()
	references := map[schema.Name][]schema.Name{
		n("a"): {n("b"), n("elsewhere")},
		n("b"): {n("c")},
		n("c"): {n("b"), n("d")}, // a cycle with b
		n("e"): {n("e"), n("a")}, // a self-reference
	}
	order, cycle := schema.LoadOrder([]schema.Name{n("e"), n("d"), n("c"), n("b"), n("a")}, references)
	require.Equal(t, []schema.Name{n("d"), n("b"), n("c"), n("a"), n("e")}, order)
	require.Equal(t, cycle[n("b")], cycle[n("c")])
	distinct := map[int]bool{}
	for _, c := range cycle {
		distinct[c] = true
	}
	require.Len(t, distinct, 4)
}

func TestLoadOrderOfALongChain(t *testing.T) {
	t.Parallel()
	var names []schema.Name
	references := map[schema.Name][]schema.Name{}
	for i := range 2000 {
		names = append(names, n(string(rune('a'+i%26))+string(rune(0x4e00+i))))
		if i > 0 {
			references[names[i-1]] = []schema.Name{names[i]}
		}
	}
	order, _ := schema.LoadOrder(names, references)
	slices.Reverse(names)
	require.Equal(t, names, order)
}

func base() schema.Schema {
	return schema.Schema{
		Tables: []schema.Table{{Name: n("offices"), Kind: schema.Ordinary,
			Columns:     []schema.Column{{Name: "id", Type: "uuid", NotNull: true}, {Name: "name", Type: "text"}},
			Keys:        []schema.Key{{Primary: true, Columns: []string{"id"}}},
			ForeignKeys: []schema.ForeignKey{{Columns: []string{"id"}, References: n("x"), RefColumns: []string{"id"}}}}},
		Types:     []schema.Type{{Name: n("mood"), Kind: "enum", Definition: []string{"sad", "glad"}}},
		Sequences: []schema.Name{n("s")},
	}
}

func TestWhatIsNoDifference(t *testing.T) {
	t.Parallel()
	other := base()
	slices.Reverse(other.Tables[0].Columns)
	other.Tables[0].Columns[0].Default = true
	require.Equal(t, base().Fingerprint(), other.Fingerprint())
	require.Empty(t, schema.Diff(base(), other, msg.English))
}

func TestEveryDifferenceIsToldAndChangesTheFingerprint(t *testing.T) {
	t.Parallel()
	table := func(s *schema.Schema) *schema.Table { return &s.Tables[0] }
	for _, c := range []struct {
		change func(*schema.Schema)
		text   string
		effect schema.Effect
	}{
		{func(s *schema.Schema) {
			table(s).Columns = append(table(s).Columns, schema.Column{Name: "region", Type: "text", NotNull: true})
		}, "public.offices: column region text not null was added; the snapshot has no value for it and there is no default", schema.NoValue},
		{func(s *schema.Schema) {
			table(s).Columns = append(table(s).Columns, schema.Column{Name: "region", Type: "text", NotNull: true, Default: true})
		}, "public.offices: column region text not null was added; the snapshot has no value for it", schema.Loads},
		{func(s *schema.Schema) { table(s).Columns = table(s).Columns[:1] }, "public.offices: column name text is gone; the snapshot has values for it", schema.NoPlace},
		{func(s *schema.Schema) { table(s).Columns[1].Type = "varchar(9)" }, "public.offices: column name text is now name varchar(9)", schema.Loads},
		{func(s *schema.Schema) { table(s).Columns[1].Generated = "stored (id)" }, "public.offices: column name text is now name text generated always as stored (id)", schema.NoPlace},
		{func(s *schema.Schema) { table(s).Columns[1].Identity = "always" }, "public.offices: column name text is now name text generated always as identity", schema.Loads},
		{func(s *schema.Schema) { table(s).Keys = nil }, "public.offices: primary key (id) is gone", schema.Loads},
		{func(s *schema.Schema) {
			table(s).Keys = append(table(s).Keys, schema.Key{Columns: []string{"name"}})
		}, "public.offices: unique (name) was added", schema.Loads},
		{func(s *schema.Schema) { table(s).ForeignKeys[0].References = n("y") }, "public.offices: foreign key (id) references public.y (id) was added", schema.Loads},
		{func(s *schema.Schema) { table(s).PartitionKey = "LIST (id)" }, "public.offices: was table, is now table partition by LIST (id)", schema.Loads},
		{func(s *schema.Schema) { s.Tables = append(s.Tables, schema.Table{Name: n("z")}) }, "public.z: the table was added; the snapshot knows nothing of it", schema.Loads},
		{func(s *schema.Schema) { s.Tables = nil }, "public.offices: the table is gone; the snapshot has rows or a place for them", schema.NoPlace},
		{func(s *schema.Schema) { s.Types[0].Definition = []string{"glad", "sad"} }, "type public.mood: was enum (sad, glad), is now enum (glad, sad)", schema.Loads},
		{func(s *schema.Schema) { s.Types = nil }, "type: enum public.mood is gone", schema.Loads},
		{func(s *schema.Schema) { s.Sequences = append(s.Sequences, n("t")) }, "sequence public.t was added", schema.Loads},
		{func(s *schema.Schema) { s.Sequences = nil }, "sequence public.s is gone", schema.Loads},
	} {
		live := base()
		c.change(&live)
		require.NotEqual(t, base().Fingerprint(), live.Fingerprint(), c.text)
		require.Contains(t, schema.Diff(base(), live, msg.English), schema.Difference{Text: c.text, Effect: c.effect})
		require.Len(t, schema.Diff(base(), live, msg.Japanese), len(schema.Diff(base(), live, msg.English)))
	}
}
