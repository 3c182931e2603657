package schema

import "slices"

// LoadOrder returns the names of the tables so that a referenced table comes
// before those that reference it, ties and cycles broken by name. Tables of one
// cycle stand together; cycle tells for each name the number of its strongly
// connected component, so that a foreign key between two tables of one
// component, or of a table to itself, can't be satisfied by order.
//
// The components are found with Tarjan's algorithm (R. Tarjan, "Depth-first
// search and linear graph algorithms", SIAM J. Comput. 1, 1972), which yields
// them with what is referenced first.
func LoadOrder(names []Name, references map[Name][]Name) (order []Name, cycle map[Name]int) {
	names = slices.Clone(names)
	slices.SortFunc(names, Name.Compare)
	known := map[Name]bool{}
	for _, n := range names {
		known[n] = true
	}
	t := tarjan{references: references, known: known, index: map[Name]int{}, low: map[Name]int{},
		onStack: map[Name]bool{}, cycle: map[Name]int{}}
	for _, n := range names {
		if _, seen := t.index[n]; !seen {
			t.visit(n)
		}
	}
	return t.order, t.cycle
}

type tarjan struct {
	references map[Name][]Name
	known      map[Name]bool
	index, low map[Name]int
	onStack    map[Name]bool
	stack      []Name
	order      []Name
	cycle      map[Name]int
	components int
}

func (t *tarjan) visit(n Name) {
	t.index[n] = len(t.index)
	t.low[n] = t.index[n]
	t.stack = append(t.stack, n)
	t.onStack[n] = true
	refs := slices.Clone(t.references[n])
	slices.SortFunc(refs, Name.Compare)
	for _, ref := range refs {
		if !t.known[ref] {
			continue
		}
		if _, seen := t.index[ref]; !seen {
			t.visit(ref)
			t.low[n] = min(t.low[n], t.low[ref])
		} else if t.onStack[ref] {
			t.low[n] = min(t.low[n], t.index[ref])
		}
	}
	if t.low[n] != t.index[n] {
		return
	}
	i := slices.Index(t.stack, n)
	component := slices.Clone(t.stack[i:])
	t.stack = t.stack[:i]
	slices.SortFunc(component, Name.Compare)
	for _, member := range component {
		t.onStack[member] = false
		t.cycle[member] = t.components
	}
	t.components++
	t.order = append(t.order, component...)
}
