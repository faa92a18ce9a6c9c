"""Services, exactly as the API server answers: create, replace, patch, delete, one object and in batch.

Sources: ``pkg/registry/core/service`` and ``pkg/apis/core/validation`` of v1.20 to v1.36, module by module.
"""
