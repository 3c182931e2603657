package catalog

import (
	"slices"

	"github.com/groundhogdb/groundhog/internal/schema"
)

// typesOf lists the user's own types; a type that a table or an extension brings
// with it is told by that.
func typesOf(f *facts) (out []schema.Type) {
	kinds := map[string]string{"e": "enum", "d": "domain", "c": "composite", "r": "range"}
	for _, t := range f.types {
		kind := kinds[t.kind]
		if kind == "" || !f.ofUser(typeCatalog, t.oid, t.schema) {
			continue
		}
		definition := []string{}
		switch kind {
		case "enum":
			definition = append(definition, t.labels...)
		case "domain":
			definition = append(definition, t.of)
			if t.notNull {
				definition = append(definition, "not null")
			}
			slices.Sort(t.checks)
			definition = append(definition, t.checks...)
		case "composite":
			c := f.classes[t.class]
			if c == nil || c.kind != "c" {
				continue
			}
			for _, col := range c.columns {
				definition = append(definition, col.Name+" "+col.Type)
			}
		case "range":
			definition = append(definition, t.of)
		}
		out = append(out, schema.Type{Name: schema.Name{Schema: f.schemas[t.schema], Name: t.name}, Kind: kind, Definition: definition})
	}
	return out
}
