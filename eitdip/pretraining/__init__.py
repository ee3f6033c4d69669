"""Networks that have seen synthetic pairs before they see data: the first half of an educated deep image prior."""
