package catalog

import (
	"context"

	"github.com/groundhogdb/groundhog/internal/schema"
)

func Digest(ctx context.Context, q Querier, held []schema.Name) (string, error) { return "stub", nil }
