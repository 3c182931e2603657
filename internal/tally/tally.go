// Package tally counts what the restores and clones of this process did, for the lines
// that fixtures.Main shows at the end.
package tally

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Method is a way in which tables were brought back.
type Method struct {
	Name     string
	Tables   int
	Restores int           // for which it was the method that cost most
	Spent    time.Duration // in these
}

// Reason is why something was done, and how often.
type Reason struct {
	Text  string
	Count int
}

// Clones are how many databases tests got.
type Clones struct {
	New, Again int
	Dropped    int // not used again, for reasons
}

var (
	mu      sync.Mutex
	methods []Method
	reasons = map[string]int{} // to load, of tables
	clones  Clones
	drops   = map[string]int{} // by reason
)

// Add counts a restore: the tables by method, the cheapest method first, those that were
// loaded by the reason, and the time it took.
func Add(order []string, tables, why map[string]int, spent time.Duration) {
	mu.Lock()
	defer mu.Unlock()
	most := -1
	for _, name := range order {
		i := slices.IndexFunc(methods, func(w Method) bool { return w.Name == name })
		if i < 0 {
			i, methods = len(methods), append(methods, Method{Name: name})
		}
		if tables[name] > 0 {
			methods[i].Tables += tables[name]
			most = i
		}
	}
	if most >= 0 {
		methods[most].Restores++
		methods[most].Spent += spent
	}
	for text, n := range why {
		reasons[text] += n
	}
}

// Methods returns those that were taken, the cheapest first.
func Methods() []Method {
	mu.Lock()
	defer mu.Unlock()
	return slices.DeleteFunc(slices.Clone(methods), func(w Method) bool { return w.Tables == 0 })
}

// Reasons returns why tables were loaded or exchanged, the most frequent first.
func Reasons() []Reason { return sorted(reasons) }

// LendClone counts a database that a test got, that was used before or not.
func LendClone(again bool) {
	mu.Lock()
	defer mu.Unlock()
	if again {
		clones.Again++
	} else {
		clones.New++
	}
}

// DropClone counts one that is not used again.
func DropClone(why string) {
	mu.Lock()
	defer mu.Unlock()
	clones.Dropped++
	drops[why]++
}

// Lent returns how many clones there were, and why they were not used again, the most
// frequent reason first.
func Lent() (Clones, []Reason) {
	mu.Lock()
	count := clones
	mu.Unlock()
	return count, sorted(drops)
}

func sorted(count map[string]int) []Reason {
	mu.Lock()
	defer mu.Unlock()
	var out []Reason
	for _, text := range slices.Sorted(maps.Keys(count)) {
		out = append(out, Reason{text, count[text]})
	}
	slices.SortStableFunc(out, func(a, b Reason) int { return cmp.Compare(b.Count, a.Count) })
	return out
}
