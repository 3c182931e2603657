package snapshot

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/groundhogdb/groundhog/internal/testdb"
)

// clonePools are those of a database.
type clonePools struct {
	none bool // no template is made or looked for: for tests of the methods that need none

	mu    sync.Mutex
	by    map[string]*clonePool // by the sum of the snapshot
	crash string                // of the server, the last one before they were made
}

// clonePoolsOf returns those of a database.
func clonePoolsOf(d *database) *clonePools {
	return keptFor(d.root, func() *clonePools { return &clonePools{by: map[string]*clonePool{}} })
}

// at returns those at the snapshot with that sum, or nil if there are none.
func (p *clonePools) at(sum string) *clonePool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by[sum]
}

// Close drops the clones that are not lent.
func (p *clonePools) Close() error {
	var err error
	for _, pool := range p.take() {
		err = errors.Join(err, pool.end(false))
	}
	return err
}

// sinceCrash drops all copies if the server crashed since the first was made.
func (p *clonePools) sinceCrash(ctx context.Context, m testdb.Maker) error {
	crashed, last, err := p.crashed(ctx, m)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.crash = last
	p.mu.Unlock()
	if !crashed {
		return nil
	}
	return p.dropAll()
}

// crashed reports whether the server crashed since the first copy was made, which has
// emptied the unlogged tables of all, and what tells the last crash from others.
func (p *clonePools) crashed(ctx context.Context, m testdb.Maker) (crashed bool, last string, err error) {
	last, err = m.LastCrash(ctx)
	known := p.lastCrash()
	return err == nil && known != "" && known != last, last, err
}

// noteCrash is called before the first copy is made.
func (p *clonePools) noteCrash(ctx context.Context, m testdb.Maker) error {
	if p.lastCrash() != "" {
		return nil
	}
	return p.sinceCrash(ctx, m)
}

func (p *clonePools) lastCrash() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.crash
}

// dropAll drops the copies that are not lent, and all templates that were used.
func (p *clonePools) dropAll() error {
	var err error
	for _, pool := range p.take() {
		err = errors.Join(err, pool.end(true))
	}
	return err
}

func (p *clonePools) take() []*clonePool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Collect(maps.Values(p.by))
	clear(p.by)
	return all
}

// others returns those at other snapshots.
func (p *clonePools) others(than *clonePool) []*clonePool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(p.by)), func(other *clonePool) bool { return other == than })
}

// templatesUsed is how many snapshots of a database have a template that only this process
// can use. Those that all can use are bounded by server.
const templatesUsed = 8

// forgetOld drops the templates of snapshots that were wanted longest ago.
func (p *clonePools) forgetOld() {
	p.mu.Lock()
	pools := slices.Collect(maps.Values(p.by))
	p.mu.Unlock()
	wanted := map[*clonePool]time.Time{}
	for _, pool := range pools {
		wanted[pool] = pool.template.lastWanted()
	}
	slices.SortFunc(pools, func(a, b *clonePool) int { return wanted[b].Compare(wanted[a]) })
	for _, pool := range pools[min(templatesUsed, len(pools)):] {
		if content, there := pool.template.settled(); there {
			if gone, _ := pool.maker.Forget(content, false); gone { // what fails goes with the server
				pool.template.lost()
			}
		}
	}
}
