// Package tally counts what the restores of this process did, for the line that
// fixtures.Main shows at the end.
package tally

import (
	"slices"
	"sync"
	"time"
)

// Way is a way in which tables were brought back.
type Way struct {
	Name     string
	Tables   int
	Restores int           // for which it was the way that cost most
	Spent    time.Duration // in these
}

var (
	mu   sync.Mutex
	ways []Way
)

// Add counts a restore: the tables by way, the cheapest way first, and the time it took.
func Add(order []string, tables map[string]int, spent time.Duration) {
	mu.Lock()
	defer mu.Unlock()
	most := -1
	for _, name := range order {
		i := slices.IndexFunc(ways, func(w Way) bool { return w.Name == name })
		if i < 0 {
			i, ways = len(ways), append(ways, Way{Name: name})
		}
		if tables[name] > 0 {
			ways[i].Tables += tables[name]
			most = i
		}
	}
	if most >= 0 {
		ways[most].Restores++
		ways[most].Spent += spent
	}
}

// Ways returns those that were taken, the cheapest first.
func Ways() []Way {
	mu.Lock()
	defer mu.Unlock()
	return slices.DeleteFunc(slices.Clone(ways), func(w Way) bool { return w.Tables == 0 })
}
